"""Typed, frozen configuration, validated once at the edge."""

from fpe_core.config.loader import load_site, load_study, load_yaml
from fpe_core.config.site import SiteConfig
from fpe_core.config.study import StudyPlan

__all__ = ["SiteConfig", "StudyPlan", "load_site", "load_study", "load_yaml"]
