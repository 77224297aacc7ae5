"""The page that a run leaves behind: what changed, why, and what was set aside.

`model` holds the records, `selection` says which photos are shown with pictures, `pictures` makes those small,
`wording` and `views` put everything into words, and `render` fills `templates/` into one page. The records are light
to import; `render` loads Jinja2 and Pillow and is imported from its module.
"""

from storage.reports.model import TOTALS, Outcome, QuarantinedFile, ReportPhoto, RunReport

__all__ = ["TOTALS", "Outcome", "QuarantinedFile", "ReportPhoto", "RunReport"]
