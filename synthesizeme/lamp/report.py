"""What LaMP's metrics say: one JSON document and one Markdown table."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from synthesizeme.evaluation.lamp_metrics import Measured
from synthesizeme.evaluation.report import environment, save_documents
from synthesizeme.evaluation.tables import ABSENT, aligned
from synthesizeme.types import Frozen, Usage

_CONTROLS = {
    "no_user": "without the user",
    "wrong_user": "another user's",
    "swapped_labels": "labels swapped",
}


class LampRow(Frozen):
    """One scorer."""

    name: str
    """Name on the command line."""
    metrics: dict[str, Measured]
    """Each metric of the task with its interval."""
    controls: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The same metrics when something else is known of the user."""
    questions: int
    """Questions asked."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Questions that got no answer, by kind; they count as a wrong one."""
    usage: Usage | None = None
    """Model calls; None where no model was asked."""

    @property
    def tokens_per_question(self) -> float | None:
        """Prompt tokens of one question, all its comparisons together; None where no model was asked."""
        return None if self.usage is None else self.usage.prompt_tokens / self.questions


class LampReport(Frozen):
    """One task, any number of scorers."""

    benchmark: str
    """``lamp/N`` or ``lamp-time/N``."""
    protocol: str
    """What was asked of whom."""
    rows: tuple[LampRow, ...]
    """One per scorer, in the order asked for."""
    environment: dict[str, str] = Field(default_factory=environment)
    """Versions that the numbers may depend on."""

    def to_json(self) -> str:
        """The report as an indented JSON document."""
        return self.model_dump_json(indent=2) + "\n"

    def to_markdown(self) -> str:
        """Heading, protocol, table, legend."""
        metrics = list(self.rows[0].metrics) if self.rows else []
        controls = [name for name in _CONTROLS if any(name in row.controls for row in self.rows)]
        main = metrics[:1]
        heading = ["scorer"]
        for metric in metrics:
            heading += [metric, "95 %"]
        heading += [f"{metric}, {_CONTROLS[name]}" for name in controls for metric in main]
        heading += ["no answer", "tokens a question"]
        table = [heading]
        for row in self.rows:
            cells = [row.name]
            for metric in metrics:
                found = row.metrics[metric]
                cells += [f"{found.value:.3f}", f"[{found.low:.3f}, {found.high:.3f}]"]
            for name in controls:
                cells += [
                    f"{row.controls[name][metric]:.3f}" if name in row.controls else ABSENT for metric in main
                ]
            tokens = row.tokens_per_question
            cells += [str(sum(row.failures.values())), ABSENT if tokens is None else f"{tokens:,.0f}"]
            table.append(cells)
        lower = [name for name, found in self.rows[0].metrics.items() if found.better == "lower"]
        said = f"- Of {', '.join(lower)} less is better.\n" if lower else ""
        return (
            f"## {self.benchmark}\n\n{self.protocol}\n\n{aligned(table)}\n{said}"
            "- **95 %**: bootstrap over users, all questions of a user drawn together.\n"
            "- **no answer**: questions without one; they count as a wrong answer.\n"
        )

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``results.json`` and ``results.md`` into `folder`, each whole or not at all.

        Raises:
            DataError: the folder cannot be made or written.
        """
        return save_documents(folder, self.to_json(), self.to_markdown())
