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
        hypotheses: Sequence[Hypothesis] | None,
        explanation: Explanation | None,
        error: str = "",
    ) -> str:
        """Writes the page.

        Args:
          fields: of the form.
          version: that answered.
          hypotheses: best first; None if nothing was asked.
          explanation: tokens and attention, where the model gives them.
          error: why there are no hypotheses.
        """
        attention = {}
        if explanation:
            for one in explanation.hypotheses:
                sides = explanation.source_tokens, one.target_tokens
                attention[one.text] = try_page.Attention(*sides, one.attention)
        shown, note = None, ""
        if hypotheses is not None:
            shown, note = try_page.with_attention(hypotheses, attention)
        about = f"Version {version} answered." if version else "The newest version answers."
        return try_page.render(
            fields,
            shown,
            error,
            note,
            title=self._name,
            about=f"{about} A laptop and test server: it answers what TensorFlow Serving does.",
        )
