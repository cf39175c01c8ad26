"""Named configurations, one per result that the project shows. A new one is a line here."""

from framegen.config.config import Config
from framegen.config.data import Orbit, Sine
from framegen.config.models import MLP, Recurrent
from framegen.config.training import Training

_SPEEDS = Orbit(period=40, speeds=tuple(range(1, 9)))

_SINE_NET = Recurrent(hidden_size=32)

_SINE_TRAINING = Training(epochs=10, batch_size=1, media_every=5)

EXPERIMENTS: dict[str, Config] = {
    config.experiment: config
    for config in (
        Config(Orbit(), Recurrent(), experiment="video"),
        Config(Orbit(), Recurrent(cell="relu"), experiment="video-relu"),
        Config(Orbit(), MLP(), experiment="video-mlp"),
        Config(Orbit(), Recurrent(cell="gru", hidden_size=32), experiment="video-gru"),
        Config(_SPEEDS, Recurrent(), experiment="video-speeds"),
        Config(_SPEEDS, Recurrent(cell="gru", hidden_size=32), experiment="video-speeds-gru"),
        Config(Sine(lag=1), _SINE_NET, _SINE_TRAINING, "sine-lag"),
        Config(Sine(lag=-1), _SINE_NET, _SINE_TRAINING, "sine-next"),
    )
}

DESCRIPTIONS: dict[str, str] = {
    "video": "the article's 4-5-4 RNN on 1000 clips of 2x2 pixels",
    "video-relu": "the same with relu units",
    "video-mlp": "the same data without memory: a feed-forward net",
    "video-gru": "the same data, a GRU with 32 units",
    "video-speeds": "the 4-5-4 RNN where the light has one of 8 speeds",
    "video-speeds-gru": "the same with a GRU of 32 units",
    "sine-lag": "the article's sine, the target one sample behind the input",
    "sine-next": "the article's sine, the target one sample ahead",
}
