"""Output of a call that is resumed from another gateway: sent by the gateway that runs it, received by the other."""

from dataclasses import dataclass

import msgspec

from longshore.gateway.mcp.input_requests.request_state import RequestState
from longshore.gateway.mcp.input_requests.standing_streams import ignore_errors
from longshore.gateway.mcp.input_requests.suspended_call import Finished, KeepAlive, Notification, OutputSource
from longshore.shared.error_records import error_of, refusal_of
from longshore.shared.errors import LongshoreError
from longshore.shared.jobs import JobRefused
from longshore.shared.messaging.mailboxes import Mailbox, Mailboxes
from longshore.shared.messaging.message_stream import MessageReceiver, MessageStream
from longshore.shared.tasks import Tasks

_Message = Notification | Finished | JobRefused
_KEEP_ALIVE = Notification(b"")      # a KeepAlive on its way: each side sees that the other one is there
_encode = msgspec.msgpack.Encoder().encode
_messages: msgspec.msgpack.Decoder[_Message] = msgspec.msgpack.Decoder(_Message)


@dataclass(frozen=True, slots=True)
class RemoteRelay:
    """Sender of a call's output to the gateway that has the client now."""

    source: OutputSource
    message_stream: MessageStream
    scope: str
    output_box: str              # mailbox of the other gateway
    disconnect_box: Mailbox      # gets a message when the client disconnects there
    tasks: Tasks

    async def run(self) -> None:
        """Send the output until the call is over or suspended again. Raises StoreDown."""
        watch = self.tasks.start(self._disconnect_on_message(), name="watch_leaving")
        try:
            while True:
                message = await self._next_message()
                if not await self.message_stream.send(self.scope, self.output_box, _encode(message)):
                    self.source.disconnect()
                    return
                if not isinstance(message, Notification):
                    return
        finally:
            watch.cancel()

    async def _next_message(self) -> _Message:
        try:
            output = await self.source.next_output()
        except LongshoreError as err:
            return refusal_of(err)
        return _KEEP_ALIVE if isinstance(output, KeepAlive) else output

    async def _disconnect_on_message(self) -> None:
        await self.disconnect_box.receive()
        self.source.disconnect()


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """Output source of a call that another gateway runs."""

    mailboxes: Mailboxes
    receiver: MessageReceiver
    state: RequestState
    tasks: Tasks

    async def next_output(self) -> Notification | KeepAlive | Finished:
        data = await self.receiver.next()
        message = _KEEP_ALIVE if data is None else _messages.decode(data)
        if isinstance(message, JobRefused):
            raise error_of(message)
        return KeepAlive() if message == _KEEP_ALIVE else message

    def disconnect(self) -> None:
        delivery = self.mailboxes.deliver(self.state.scope, self.state.disconnect_box, b"")
        self.tasks.spawn(ignore_errors(delivery), name="tell_of_leaving")
