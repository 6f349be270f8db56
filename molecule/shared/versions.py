"""What is installed where nobody says otherwise: inventories/_common/versions.yml."""

import yaml

from bedplate import paths

VERSIONS = yaml.safe_load((paths.COMMON / "versions.yml").read_text())
