"""How `jupyter nbconvert --config tests/page/config.py` writes the notebook: with the template in this folder."""
from pathlib import Path

c = get_config()  # noqa: F821, nbconvert defines it
c.TemplateExporter.extra_template_basedirs = [str(Path(__file__).resolve().parent.parent)]
c.TemplateExporter.template_name = "page"
c.HTMLExporter.language_code = "pl"
