"""A mail server: aiosmtpd, with faults."""

import asyncio
import logging
import threading
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USERNAME = "ci"
# There is no TLS on loopback, and a deprecated member is set by aiosmtpd itself.
warnings.filterwarnings("ignore", module="aiosmtpd")
logging.getLogger("mail.log").setLevel(logging.ERROR)


def loop_in_background():
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


LOOP = loop_in_background()


class Faults:
    """What goes wrong, at which command. None of them: nothing."""

    def __init__(self, at=None, reply=None, times=None):
        # A stage: greeting, login, sender, recipient or data. A reply, or `close`, `silence`, `lost`.
        self.at, self.reply, self.times = at, reply, times

    def at_stage(self, stage):
        """The fault at this stage, if it is not over."""
        if stage != self.at or self.times == 0:
            return None
        if self.times is not None:
            self.times -= 1
        return self.reply


class Session(SMTP):
    """A conversation, whose first words may be wrong."""

    is_greeted = False

    async def push(self, status):
        if not self.is_greeted:
            self.is_greeted = True
            fault = self.event_handler.faults.at_stage("greeting")
            if fault:
                return await self.event_handler.fail(self, fault, push=super().push)
        await super().push(status)


class Server:
    """A mail server on loopback, and the mails that it took."""

    def __init__(self, password, faults=None):
        self.password, self.faults = password, faults or Faults()
        self.mails, self.connections = [], 0
        coroutine = LOOP.create_server(self.session, "127.0.0.1", 0)
        self.server = asyncio.run_coroutine_threadsafe(coroutine, LOOP).result()
        self.port = self.server.sockets[0].getsockname()[1]

    def session(self):
        self.connections += 1
        return Session(
            self, authenticator=self.log_in, auth_required=True, auth_require_tls=False, loop=LOOP,
            hostname="mail.example", enable_SMTPUTF8=True,
        )  # fmt: skip

    def settings(self):
        """The settings of a notifier that sends by this server."""
        return {
            "transport": "smtp", "from": "Acme CI <ci@acme.example>", "host": "127.0.0.1", "port": self.port,
            "tls": "none", "username": USERNAME, "password": self.password,
        }  # fmt: skip

    def log_in(self, _server, _session, _envelope, _mechanism, data):
        expected = LoginPassword(USERNAME.encode(), self.password.encode())
        # aiosmtpd answers 535.
        is_right = data == expected and not self.faults.at_stage("login")
        return AuthResult(success=is_right, handled=False)

    async def fail(self, session, fault, push=None):
        """Does what the fault says. Returns the reply to a command."""
        if fault == "silence":
            await asyncio.sleep(60)
        if fault in ("close", "lost", "silence"):
            session.transport.close()
            return "421 nobody reads this"
        if push:
            await push(fault)
        return fault

    async def at(self, stage, session, otherwise):
        fault = self.faults.at_stage(stage)
        return await self.fail(session, fault) if fault else otherwise

    async def handle_MAIL(self, session, _session, envelope, address, options):
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self.at("sender", session, "250 OK")

    async def handle_RCPT(self, session, _session, envelope, address, options):
        envelope.rcpt_tos.append(address)
        return await self.at("recipient", session, "250 OK")

    async def handle_DATA(self, session, _session, envelope):
        fault = self.faults.at_stage("data")
        if fault in (None, "lost"):
            self.mails.append(envelope)
        return await self.fail(session, fault) if fault else "250 Accepted"
