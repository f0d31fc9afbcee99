//! Who looks after the gateway, where it is not systemd? Each supervisor here is the real one.

mod circus;
mod container_inits;
mod daemontools;
mod folders;
mod forever;
mod nobody;
mod node_watch;
mod nodemon;
mod openrc;
mod ordinary_user;
mod pm2;
mod pm2_cluster;
mod pm2_runtime;
mod runit;
mod s6;
mod supervisord;
mod tsx;
mod unwatched;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        pm2::cases(),
        pm2_runtime::cases(),
        pm2_cluster::cases(),
        supervisord::cases(),
        circus::cases(),
        forever::cases(),
        nodemon::cases(),
        tsx::cases(),
        node_watch::cases(),
        runit::cases(),
        s6::cases(),
        daemontools::cases(),
        openrc::cases(),
        ordinary_user::cases(),
        container_inits::cases(),
        nobody::cases(),
        unwatched::cases(),
    ];
    files.into_iter().flatten().collect()
}
