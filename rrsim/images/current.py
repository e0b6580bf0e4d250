"""Whether a built image is still what its recipe says: for the doctor, and for whoever starts machines of it."""

from __future__ import annotations

from rrsim.images import loader, store, wine_guest
from rrsim.images.description import Built
from rrsim.images.errors import ImageError


def recipe_now(name: str) -> str:
    """Return the word for an image's recipe as it is now, packages aside; empty if that cannot be told.

    Takes a fraction of a second and raises nothing. Runs an event loop of its own: in a thread where there is one.
    """
    try:
        described = loader.load(name)
        return wine_guest.sources(described, loader.folder_of(name)) if described.windows == "wine" else ""
    except Exception:  # noqa: BLE001 - an image whose recipe is gone, or cannot be read, is still an image
        return ""


def find(name: str, recipe: str) -> store.Stored:
    """Return the build of ``recipe`` as it is now (see :func:`recipe_now`), else the newest one.

    Raises:
        ImageError: the image is not built.
    """
    try:
        return store.find(name, recipe)
    except ImageError:
        return store.find(name)


def changed(built: Built, recipe: str) -> str:
    """Say what of an image's recipe is another since it was built; empty: nothing, or that cannot be told.

    Args:
        built: the image.
        recipe: what :func:`recipe_now` says.
    """
    if not recipe or recipe == built.sources:
        return ""
    name = built.description.name
    try:
        described = loader.load(name)
        where = loader.folder_of(name)
    except Exception:  # noqa: BLE001 - as above
        return "its recipe"
    if described != built.description:
        return f"its description ({where / loader.FILE_NAME})"
    return f"the files of {where}, the builder, or the Windows parts that are laid into it"
