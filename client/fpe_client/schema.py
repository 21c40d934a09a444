"""The site file's JSON schema, for editors that check while one types."""

import json

from fpe_core.config.site import SiteConfig


def site_schema() -> str:
    """JSON Schema (draft 2020-12) of a site file, as it stands in `site_configs/site.schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **SiteConfig.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(site_schema(), end="")
