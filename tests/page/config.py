"""How `jupyter nbconvert --config export/config.py` writes the notebook as a page: with the template in this folder."""
from pathlib import Path

c = get_config()  # noqa: F821, nbconvert defines it
c.TemplateExporter.extra_template_basedirs = [str(Path(__file__).resolve().parent.parent)]
c.TemplateExporter.template_name = "export"
c.HTMLExporter.language_code = "pl"
