"""The health service, asked over gRPC."""

from fpe_server.health import HealthService, ask_health, site_service


def test_it_says_what_it_was_told() -> None:
    with HealthService() as service:
        assert ask_health(service.address) == "NOT_SERVING"
        service.update(serving=True, admitted=["north", "south"], connected=["north"])
        assert ask_health(service.address) == "SERVING"
        assert ask_health(service.address, service=site_service("north")) == "SERVING"
        assert ask_health(service.address, service=site_service("south")) == "NOT_SERVING"
        assert ask_health(service.address, service=site_service("west")) == "UNKNOWN"
        service.update(serving=False, admitted=["north", "south"], connected=["north"])
        assert ask_health(service.address, service=site_service("north")) == "NOT_SERVING"
        address = service.address
    assert ask_health(address, timeout_s=1.0) == "UNREACHABLE"
