"""Next-frame video generation with recurrent networks, measured against the best possible predictor.

    import framegen

    run = framegen.train("video", seeds=64)
    run.model, run.results, run.metrics()

The public names are those of `__init__.pyi`. Each is imported when it is first asked for, so that
`import framegen` answers at once and brings no torch.
"""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("framegen")
