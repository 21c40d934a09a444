"""What a site's trainer holds between messages: the cases, the device, the network."""

from functools import lru_cache, partial

from torch import nn

from fpe_client.paths import SitePaths
from fpe_client.privacy_ledger import PrivacyLedger
from fpe_client.study_cases import find_study_cases
from fpe_core.config.site import SiteConfig
from fpe_core.config.study import StudyPlan
from fpe_core.errors import StudyRefused
from fpe_core.models.planned import planned_model
from fpe_core.training.device import choose_device, place
from fpe_core.training.hardware import Hardware, default_workers


class SiteSession:
    """Data, device and model of one site. Kept for as long as the trainer lives.

    Args:
        config: the site's configuration, with absolute paths.
    """

    def __init__(self, config: SiteConfig) -> None:
        self.config = config
        device, workers = choose_device(config.trainer.device), config.trainer.workers
        self.hardware = Hardware(
            device,
            micro_batch_size=config.trainer.micro_batch_size,
            compile=config.trainer.compile,
            num_workers=default_workers(device) if workers is None else workers,
        )
        self.paths = SitePaths(config.state_dir)
        self.ledger = PrivacyLedger(self.paths.privacy)
        self.cases = lru_cache(maxsize=4)(partial(find_study_cases, config))
        self.model = lru_cache(maxsize=1)(self._model)

    def admit(self, plan: StudyPlan) -> None:
        """Refuse a study that the site's policy does not allow.

        Raises:
            StudyRefused: the task is not on the site's list.
        """
        if plan.task not in self.config.policy.tasks:
            raise StudyRefused(
                f"policy.tasks allows {', '.join(self.config.policy.tasks)}; the study asks for {plan.task}",
                hint="add the task to policy.tasks in the site file if the hospital agrees",
            )

    def _model(self, plan: StudyPlan) -> nn.Module:
        return place(planned_model(plan), self.hardware.device)
