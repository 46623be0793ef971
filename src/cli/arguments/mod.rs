//! What can be typed that is a command to a node.
//! It must not ask the node; it only says what there is.

mod change;

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Subcommand};

use change::number;
pub(super) use change::{ChangeOptions, Pair};

use super::DEFAULT_FILE;

use crate::model::{
    address::{Endpoint, HostAddress},
    catalogue::entry,
    name::{GroupPath, HostPath, Name},
    period::Period,
    topology::{Count, Weight},
};

/// The line that [`crate::model::catalogue::CATALOGUE`] has for `command`, as a sentence begins.
pub(super) fn help(command: &str) -> String {
    let line = entry(command).map_or("", |entry| entry.help);
    let mut letters = line.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Commands to a node. Their help is that of the command.
#[derive(Debug, Subcommand)]
pub(super) enum Remote {
    #[command(about = help("status"))]
    Status {
        /// Look again every second
        #[arg(long)]
        watch: bool,
    },
    #[command(about = help("show"))]
    Show {
        /// Only this one
        service: Option<Name>,
    },
    #[command(about = help("explain"))]
    Explain(Explain),
    /// Hosts: add, remove, enable, disable, drain, weight, set
    #[command(subcommand)]
    Host(Host),
    /// Groups: add, remove, activate, set
    #[command(subcommand)]
    Group(Group),
    /// Services: add, remove, listen, set
    #[command(subcommand)]
    Service(Service),
    #[command(about = help("close-sessions"))]
    CloseSessions {
        /// A host (service/group/host) or a service
        name: String,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("reload"))]
    Reload {
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("upgrade"))]
    Upgrade {
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("history"))]
    History {
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    #[command(about = help("diff"))]
    Diff {
        /// From this revision [default: the file against what runs]
        from: Option<u64>,
        /// To this one [default: what runs]
        to: Option<u64>,
    },
    #[command(about = help("rollback"))]
    Rollback {
        /// The earlier revision
        #[arg(value_name = "N")]
        revision: u64,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("confirm"))]
    Confirm {
        /// Its revision [default: whichever waits]
        #[arg(value_name = "N")]
        revision: Option<u64>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("events"))]
    Events(Events),
    #[command(about = help("whoami"))]
    Whoami,
    #[command(about = help("logout"))]
    Logout,
    #[command(about = help("logins"))]
    Logins,
    #[command(about = help("end-login"))]
    EndLogin {
        /// The login, as `logins` lists it
        #[arg(value_name = "ID")]
        login: String,
    },
    /// Rights: explain them, try a log-in
    #[command(subcommand)]
    Auth(Auth),
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A host (service/group/host), or a service together with --client
    pub(super) name: String,
    /// The address of a client: which host would it get?
    #[arg(long, value_name = "IP")]
    pub(super) client: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Events {
    /// Go on with what happens from now on, until interrupted
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Those after this sequence number
    #[arg(long, value_name = "N")]
    pub(super) since: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    pub(super) limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Host {
    #[command(about = help("add-host"))]
    Add {
        /// service/group/host
        host: HostPath,
        /// Where it listens, like 10.0.0.1:80 or app.example.org:80
        address: HostAddress,
        /// Its share: 0 to 256
        #[arg(long, value_name = "N", value_parser = number::<Weight>)]
        weight: Option<Weight>,
        /// Sessions at a time
        #[arg(long, value_name = "N", value_parser = number::<Count>)]
        max_sessions: Option<Count>,
        /// What is wanted of it at first
        #[arg(long, value_name = "STATE", value_parser = ["enabled", "draining", "disabled"])]
        admin: Option<String>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("remove-host"))]
    Remove(OneHost),
    #[command(about = help("enable-host"))]
    Enable(OneHost),
    #[command(about = help("disable-host"))]
    Disable(OneHost),
    #[command(about = help("drain-host"))]
    Drain {
        /// service/group/host
        host: HostPath,
        /// Close what is still open after so long
        #[arg(long, value_name = "TIME")]
        deadline: Option<Period>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("set-weight"))]
    Weight {
        /// service/group/host
        host: HostPath,
        /// 0 (no new sessions) to 256
        #[arg(value_name = "N", value_parser = number::<Weight>)]
        weight: Weight,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("set-host"))]
    Set {
        /// service/group/host
        host: HostPath,
        #[command(flatten)]
        pairs: Pairs,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

#[derive(Debug, Args)]
pub(super) struct OneHost {
    /// service/group/host
    pub(super) host: HostPath,
    #[command(flatten)]
    pub(super) change: ChangeOptions,
}

/// Keys to be set.
#[derive(Debug, Args)]
pub(super) struct Pairs {
    /// A key as in the file, and its value as JSON or plain text; `KEY=` restores the default
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub(super) pairs: Vec<Pair>,
}

/// Keys that a new thing has from the start.
#[derive(Debug, Args)]
pub(super) struct FirstPairs {
    /// Further keys as in the file, with values as JSON or plain text
    #[arg(value_name = "KEY=VALUE")]
    pub(super) pairs: Vec<Pair>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Group {
    #[command(about = help("add-group"))]
    Add {
        /// service/group
        group: GroupPath,
        #[command(flatten)]
        pairs: FirstPairs,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("remove-group"))]
    Remove(OneGroup),
    #[command(about = help("activate-group"))]
    Activate(OneGroup),
    #[command(about = help("set-group"))]
    Set {
        /// service/group
        group: GroupPath,
        #[command(flatten)]
        pairs: Pairs,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

#[derive(Debug, Args)]
pub(super) struct OneGroup {
    /// service/group
    pub(super) group: GroupPath,
    #[command(flatten)]
    pub(super) change: ChangeOptions,
}

#[derive(Debug, Subcommand)]
pub(super) enum Service {
    #[command(about = help("add-service"))]
    Add {
        /// Its name
        service: Name,
        /// Where it accepts sessions, like 0.0.0.0:8080; several with commas
        #[arg(long, value_name = "ADDRESS", required = true, value_delimiter = ',')]
        listen: Vec<Endpoint>,
        /// Its groups, empty at first; several with commas [default: main]
        #[arg(long = "group", value_name = "NAME", value_delimiter = ',')]
        groups: Vec<Name>,
        #[command(flatten)]
        pairs: FirstPairs,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("remove-service"))]
    Remove {
        /// Its name
        service: Name,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("set-listen"))]
    Listen {
        /// Its name
        service: Name,
        /// All addresses that it is to have
        #[arg(value_name = "ADDRESS", required = true)]
        listen: Vec<Endpoint>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    #[command(about = help("set-service"))]
    Set {
        /// Its name
        service: Name,
        #[command(flatten)]
        pairs: Pairs,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Auth {
    #[command(about = help("explain-access"))]
    Explain {
        /// The user
        user: String,
    },
    /// Try a log-in against the directories themselves, step by step; needs no node
    Test {
        /// The user
        user: String,
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
        config: PathBuf,
    },
}

/// A configuration to put in place of the services that there are.
#[derive(Debug, Args)]
pub(super) struct Replace {
    /// The services: TOML as in the configuration, or JSON as `show --json` gives it; `-` for
    /// standard input
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) change: ChangeOptions,
}
