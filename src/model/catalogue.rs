//! The table of commands: the one source of all help, and of what role each takes.
//! It must not know what a command does.

use super::principal::Role;

/// One row of the command table; see [`CATALOGUE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The command.
    pub name: &'static str,
    /// Its arguments; `?` marks those that may be left out.
    pub arguments: &'static str,
    /// The role it takes.
    pub role: Role,
    /// Whether it makes a revision or touches sessions: it then takes [options](super::command::Options).
    pub changes: bool,
    /// A line of help.
    pub help: &'static str,
}

const fn row(
    name: &'static str,
    arguments: &'static str,
    role: Role,
    changes: bool,
    help: &'static str,
) -> Entry {
    Entry {
        name,
        arguments,
        role,
        changes,
        help,
    }
}

/// Every command.
#[rustfmt::skip]
pub const CATALOGUE: [Entry; 33] = {
    use Role::{Admin, Operator, Viewer};
    [
        row("status",         "",                                              Viewer,   false, "how services, groups and hosts are"),
        row("whoami",         "",                                              Viewer,   false, "who you are here, and what you may do"),
        row("help",           "",                                              Viewer,   false, "this list"),
        row("show",           "service?",                                      Viewer,   false, "the configuration of one service, or of all"),
        row("history",        "limit?",                                        Viewer,   false, "the revisions, newest first"),
        row("diff",           "from?, to?",                                    Viewer,   false, "what changed between revisions, or file and node"),
        row("events",         "since?, limit?",                                Viewer,   false, "what happened, by sequence number"),
        row("explain",        "host | service, client",                        Viewer,   false, "why a host gets no traffic, or which host a client would get"),
        row("enable-host",    "host",                                          Operator, true,  "let a host take sessions"),
        row("disable-host",   "host",                                          Operator, true,  "let a host take no sessions"),
        row("drain-host",     "host, deadline?",                               Operator, true,  "let a host's sessions run out"),
        row("set-weight",     "host, weight",                                  Operator, true,  "change a host's share: 0 to 256"),
        row("activate-group", "group",                                         Operator, true,  "send new sessions to another group"),
        row("close-sessions", "host | service",                                Operator, true,  "reset the sessions that are open"),
        row("add-host",       "host, address, weight?, max_sessions?, admin?", Admin,    true,  "add a host"),
        row("remove-host",    "host",                                          Admin,    true,  "remove a host; its sessions run out"),
        row("set-host",       "host, …",                                       Admin,    true,  "change any key of a host; null restores its default"),
        row("add-group",      "group, … as in the file",                       Admin,    true,  "add a group"),
        row("remove-group",   "group",                                         Admin,    true,  "remove a group that is not active"),
        row("set-group",      "group, …",                                      Admin,    true,  "change any key of a group"),
        row("add-service",    "service, listen, … as in the file",             Admin,    true,  "add a service"),
        row("remove-service", "service",                                       Admin,    true,  "remove a service; its sessions run out"),
        row("set-service",    "service, …",                                    Admin,    true,  "change any key of a service but listen"),
        row("set-listen",     "service, listen",                               Admin,    true,  "change the addresses of a service"),
        row("replace",        "services",                                      Admin,    true,  "replace all services"),
        row("reload",         "",                                              Admin,    true,  "take in the file as it is now"),
        row("rollback",       "revision",                                      Admin,    true,  "make an earlier revision the newest"),
        row("confirm",        "revision?",                                     Operator, true,  "keep a change that waits for it"),
        row("logout",         "",                                              Viewer,   false, "end your login"),
        row("logins",         "",                                              Admin,    false, "who is logged in"),
        row("end-login",      "login",                                         Viewer,   false, "end a login: your own, or as admin anybody's"),
        row("explain-access", "user",                                          Admin,    false, "what a user may do, and why"),
        row("upgrade",        "",                                              Admin,    true,  "hand over to the program that is installed now"),
    ]
};

/// The row of `name` in [`CATALOGUE`].
pub fn entry(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}
