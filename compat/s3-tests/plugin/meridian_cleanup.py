"""What the suite's cleanup of IAM forgets."""

import functools


def take_users_out_of_groups():
    """The suite deletes users before groups, and DeleteUser refuses one who is in a group
    (https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html): the next test would meet the user again.
    """
    from s3tests.functional import iam

    nuke_user = iam.nuke_user

    @functools.wraps(nuke_user)
    def nuke(client, name):
        for group in client.list_groups_for_user(UserName=name)["Groups"]:
            client.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
        nuke_user(client, name)

    iam.nuke_user = nuke
