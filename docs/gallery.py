"""Order of the examples in the gallery."""

from sphinx_gallery.sorting import ExampleTitleSortKey


class QuickstartFirst(ExampleTitleSortKey):
    """The quickstart, then the others by their titles."""

    def __call__(self, filename):
        """Give what a file is sorted by."""
        return f"{filename != 'plot_quickstart.py':d} {super().__call__(filename)}"
