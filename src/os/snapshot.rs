//! What sysinfo knows of the whole machine: its users. Taken only when needed.

use std::collections::BTreeMap;

use sysinfo::Users;

/// Names of users by uid. Only for people to read: no decision asks for a name.
pub(crate) fn user_names() -> BTreeMap<u32, String> {
    let users = Users::new_with_refreshed_list();
    users.iter().flat_map(|users| users.iter().map(|user| (**user.id(), user.name().to_owned()))).collect()
}
