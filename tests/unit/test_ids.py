"""Ids are safe in URLs, file names, keys and command lines."""

import pytest

from longshore.shared.ids import is_id, new_id, new_session_id


@pytest.mark.requirement("legacy.session-id-characters")
def test_ids_have_their_shape_and_never_look_like_an_option() -> None:
    for _ in range(2000):
        file_id, session_id = new_id(), new_session_id()

        assert (len(file_id), len(session_id)) == (22, 32)
        assert is_id(file_id)
        assert is_id(session_id)
        assert not (file_id + session_id).startswith("-")
        assert not session_id.startswith("-")


def test_other_texts_are_no_ids() -> None:
    for text in ("", "x" * 15, "x" * 65, "x" * 16 + "\n", "../" * 8, "a" * 15 + "é", "a" * 15 + "/", "a" * 15 + "\0"):
        assert not is_id(text)
