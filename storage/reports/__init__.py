"""The page that a run leaves behind: what changed, why, and what was set aside."""

from storage.reports.model import TOTALS, Outcome, QuarantinedFile, ReportPhoto, RunReport

__all__ = ["TOTALS", "Outcome", "QuarantinedFile", "ReportPhoto", "RunReport"]
