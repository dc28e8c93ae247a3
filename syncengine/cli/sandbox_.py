"""`sandbox`: serve the stand-in API."""

import click

from syncengine.cli._render import answer, print_table, say


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0: any free port.")
@click.option("--scenario", default="documented", show_default=True, help="How it behaves; --list names them.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests a second it takes before 429.")
@click.option("--list-id", "list_ids", multiple=True, help="A list it holds besides the default one.")
@click.option("--token", "tokens", multiple=True, help="A token it accepts besides sandbox-token.")
@click.option("--webhook", metavar="URL", help="Post there who unsubscribes, is removed, complains, … on its page.")
@click.option(
    "--webhook-faults",
    metavar="WHAT=N,…",
    default="",
    help="How badly: duplicate, drop and reorder are shares, delay is seconds, attempts a number.",
)
@click.option("--list", "show_list", is_flag=True, help="List the scenarios.")
def command(
    port: int,
    scenario: str,
    rate: float | None,
    list_ids: tuple[str, ...],
    tokens: tuple[str, ...],
    webhook: str | None,
    webhook_faults: str,
    *,
    show_list: bool,
) -> int:
    """Serve a stand-in for SmartSender and SmarterSends on this machine, to be looked at in a browser.

    It prints a config with which every other command works against it.

    \b
    syncengine sandbox --port 8787
    syncengine sandbox --scenario add-partial --rate 10
    syncengine sandbox --webhook http://127.0.0.1:8788/hook/… --webhook-faults duplicate=0.5,delay=2
    """
    from syncengine import sandboxing  # noqa: PLC0415  # starlette and uvicorn are imported here

    if show_list:
        print_table(["SCENARIO", "WHAT IT IS"], [list(one) for one in sandboxing.scenarios()])
        return 0

    def ready(url: str, config: str) -> None:
        answer(f"The sandbox listens: {url}")
        say(f"""
  look at it     {url}/
  scenario       {scenario}
  your config    syncengine.toml, beside a copy of sample_data/contacts.csv:

{config}
Ctrl-C ends it; what it holds is gone then.""")

    faults = (one.partition("=") for one in webhook_faults.split(",") if one.strip())
    hooks = {name.strip(): value.strip() for name, _, value in faults} | ({"url": webhook} if webhook else {})
    try:
        sandboxing.serve(
            port=port, scenario=scenario, rate=rate, list_ids=list_ids, tokens=tokens, hooks=hooks, ready=ready
        )
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"port {port} can't be had: {error}. Try --port 0") from error
    return 0
