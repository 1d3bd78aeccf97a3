"""Of dbt's events only those that are progress become messages."""

import pytest

from dagster_project import transformation


def test_only_progress_is_heard():
    transformation.load_dbt()
    from dbt.events.types import JinjaLogInfo
    from dbt_common.events import event_manager_client as client
    from dbt_common.events.functions import fire_event
    from dbt_common.events.types import Note

    usual, heard = client.get_event_manager(), []
    with pytest.raises(KeyError), transformation._only_heard():
        client.add_callback_to_manager(lambda message: heard.append(message.data.msg))
        fire_event(Note(msg="what dbt notes"))
        fire_event(JinjaLogInfo(msg="batch 1 of 2"))
        raise KeyError
    assert heard == ["batch 1 of 2"]
    assert client.get_event_manager() is usual
