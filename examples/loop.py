"""A training that reads from top to bottom: data, a net, Adam, and how far it is from the best possible.

    python examples/loop.py

Copy it, and change what you like. Nothing but the contract binds a net to framegen:

    predictions, state = model(frames, state)    # frames, predictions: (B, T, C, H, W) float32

`predictions[:, t]` is what the net expects after it saw the frames up to t; a state of None begins a clip.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

import framegen


class Net(framegen.Predictor):
    """A frame -> recurrent units -> the next frame."""

    def __init__(self, frame_shape: tuple[int, int, int], hidden_size: int) -> None:
        super().__init__()
        pixels = torch.Size(frame_shape).numel()
        self.rnn = nn.GRU(pixels, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, pixels)

    def forward(self, frames: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, state = self.rnn(frames.flatten(2), state)  # (B, T, hidden_size)
        return self.head(hidden).view_as(frames), state


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a net in a flat loop.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--num-clips", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--hidden-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("loop.gif"))
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(1)  # so small a net is slower with two

    # The data: a light that circles, seen through noise. Any task of framegen's, or your own, does.
    task = framegen.Orbit(num_clips=options.num_clips)
    data = framegen.load_data(task, options.data_dir)  # made once, and kept there

    model = Net(data.frame_shape, options.hidden_size)
    optimizer = torch.optim.Adam(model.parameters(), options.learning_rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)

    for epoch in range(1, options.epochs + 1):
        model.train()
        for index in torch.randperm(len(data.train)).split(options.batch_size):
            inputs, targets = data.train.batch(index)  # (B, T, C, H, W) each: targets are the next frames
            predictions, _ = model(inputs)
            loss = nn.functional.mse_loss(predictions, targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        scheduler.step()

        model.eval()
        with torch.inference_mode():
            inputs, targets = data.val.batch(slice(None))
            error = nn.functional.mse_loss(model(inputs)[0], targets).item()
        print(f"epoch {epoch}/{options.epochs}  validation mse {error:.5f}")

    # Test clips, once: beside what any net should beat, and beside what nobody can. Skill is 0 for who copies
    # the last frame, and 1 for who knows all but the noise.
    results = framegen.evaluate(model, task, data_dir=options.data_dir)
    for part, predictors in results.parts().items():
        print(f"\n{part}:")
        for name, scores in predictors.items():
            print(f"  {name:<16}  mse {scores['mse']:.5f}  skill {scores['skill']:6.3f}")

    # It runs on from the start of a test clip: each frame that it predicts is the next that it sees.
    assert data.test_frames is not None
    prompt = data.test_frames[:1, : data.context].float() / 255  # stored as bytes
    generated = framegen.rollout(model, prompt, num_frames=40)
    framegen.save(options.out, (frame[0] for frame in generated), fps=10, force=True)
    print(f"\n{options.out}")


if __name__ == "__main__":
    main()
