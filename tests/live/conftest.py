"""What every module of live tests may ask for."""

from tests.live.wine_bench import play, programs

__all__ = ["play", "programs"]
