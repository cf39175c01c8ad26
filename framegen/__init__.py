"""Next-frame video generation with recurrent networks, measured against the best possible predictor.

    import framegen

    run = framegen.train("video", seeds=64)
    run.model, run.results, run.metrics()

The public names are those of `__init__.pyi`. Each is imported when it is first asked for, so that
`import framegen` answers at once and brings no torch.
"""

import lazy_loader

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # costs as much as all else that `framegen --help` imports

        return version("framegen")
    return _public(name)
