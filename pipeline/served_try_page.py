"""The page at `/` of the local server: that of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..report import try_page
from ..report.html_document import HEADERS
from ..serving.local_model import Explanation, Hypothesis


class ServedTryPage:
    """Reads the form and writes the page.

    Args:
      name: of the model.
    """

    headers = HEADERS

    def __init__(self, name: str):
        self._name = name

    def read(self, fields: Mapping[str, str]) -> tuple[str, dict[str, float | str]]:
        """The source and the options that a form asks with.

        Raises:
          BadForm: a field cannot be used.
        """
        asked = try_page.read_form(fields)
        return asked.text, asked.options

    def write(
        self,
        fields: Mapping[str, str],
        version: int | None,
        found: Explanation | Sequence[Hypothesis] | None,
        error: str = "",
    ) -> str:
        """Writes the page.

        Args:
          fields: of the form.
          version: that answered.
          found: the answers, explained where the model can; None if nothing was asked.
          error: why there are none.
        """
        shown, note = None, ""
        if isinstance(found, Explanation):
            shown = try_page.with_attention(*found)
        elif found is not None:
            shown, note = try_page.without_attention(found), try_page.UNEXPLAINED
        about = f"Version {version} answered." if version else "The newest version answers."
        return try_page.render(
            fields,
            shown,
            error,
            note,
            title=self._name,
            about=f"{about} A laptop and test server: it answers what TensorFlow Serving does.",
        )
