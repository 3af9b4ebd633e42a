"""Reading the machine's apt sources, and turning them into those of the base image's release."""

from images.debian import Source, parse_sources, sources_for


def test_only_the_main_component_counts_and_once() -> None:
    listed = "http://m/debian/ trixie main\nhttp://m/debian trixie main\nhttp://x stable contrib\n"
    assert parse_sources(listed) == [Source("http://m/debian", "trixie")]


def test_another_releases_suites_become_the_base_images() -> None:
    machine = [
        Source("http://m/debian-security", "bookworm-security"),
        Source("http://m/debian", "bookworm"),
        Source("http://m/debian", "bookworm-updates"),
    ]
    assert sources_for(machine) == [
        Source("http://m/debian", "trixie"),
        Source("http://m/debian", "trixie-updates"),
        Source("http://m/debian-security", "trixie-security"),
    ]


def test_mirrors_of_other_projects_and_backports_are_left_out() -> None:
    machine = [
        Source("http://node/deb", "nodistro"),
        Source("http://pg/apt", "bookworm-pgdg"),
        Source("http://m/debian", "bookworm-backports"),
    ]
    assert sources_for(machine) == []
