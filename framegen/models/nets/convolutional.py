"""The convolutional recurrent nets: patches -> recurrent layers -> answer."""

from torch import Tensor, nn

from framegen.config.models import ConvRecurrent
from framegen.models.mixture import Mixture
from framegen.models.nets.answers import Answer, to_patches
from framegen.models.nets.conv_layers import ConvGRU, ConvLSTM, Memoryless, MinConvGRU
from framegen.models.nets.density import ConvDensity, Net
from framegen.models.nets.predrnn import PredRNN
from framegen.models.predictor import State

_LAYERS = {"convlstm": ConvLSTM, "convgru": ConvGRU, "minconvgru": MinConvGRU, "cnn": Memoryless}


class ConvRecurrentNet(Net):
    """Frames with values in [0, 1], of any height and width; predictions in [0, 1] as well.

    patch x patch pixels become the channels of one place (pixel-unshuffle); layers keep that resolution.
    """

    def __init__(self, config: ConvRecurrent, frame_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, self.patch, size = frame_shape[0], config.patch, config.hidden_size
        layers = PredRNN if config.cell == "predrnn" else Stack
        self.recurrent = layers(config, channels * self.patch**2)
        self.answer = Answer(config, channels)
        self.spread = ConvDensity(config.density, size, channels, self.patch) if config.density else None

    def predict(self, frames: Tensor, state: State) -> tuple[Tensor | Mixture, State]:
        seen = frames.transpose(0, 1)  # (T, B, C, H, W): what is done frame by frame lies in one piece
        flat = seen.flatten(0, 1)  # (T * B, C, H, W)
        patches = to_patches(flat, self.patch).unflatten(0, seen.shape[:2])
        hidden, state = self.recurrent(patches, state)  # (T, B, hidden_size, h, w)
        predictions = self.answer(hidden.flatten(0, 1), flat)
        predictions = predictions.unflatten(0, seen.shape[:2]).transpose(0, 1)
        return self.say(predictions, hidden.transpose(0, 1)), state


class Stack(nn.Module):
    """Recurrent layers of one kind, each over the whole sequence; the state is a tuple of theirs."""

    def __init__(self, config: ConvRecurrent, in_channels: int) -> None:
        super().__init__()
        sizes = [in_channels, *[config.hidden_size] * (config.num_layers - 1)]
        kind = _LAYERS[config.cell]
        self.layers = nn.ModuleList(kind(size, config.hidden_size, config.kernel_size) for size in sizes)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, after = inputs, []
        for layer, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            hidden, last = layer(hidden, before)
            after.append(last)
        return hidden, tuple(after)
