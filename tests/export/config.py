"""How `jupyter nbconvert --config tests/export/config.py` writes the notebook as a page."""

from pathlib import Path

c = get_config()  # noqa: F821, nbconvert defines it
c.NbConvertApp.export_format = "html"
c.HTMLExporter.language_code = "pl"
c.TemplateExporter.extra_template_basedirs = [str(Path(__file__).resolve().parent.parent)]
c.TemplateExporter.template_name = "export"
