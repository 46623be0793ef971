//! Commands to a node: asked, and the answer shown.
//! It must not decide what an answer means; its code does.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, error::ErrorKind};
use serde_json::json;
use tokio::runtime;

use super::{
    Arguments, Exit,
    arguments::{Auth, ChangeOptions, Remote},
    client::{BusOptions, Client, Keeper, Reply, Trouble, Via},
    complain, follow, login, replace,
    request::{Wrong, changing, request},
    say, show, style, terminal, trial, watch,
};
use crate::model::{
    command::{Command, Request},
    error::{Code, CommandError},
};

/// How to reach the node, and how to answer.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command to a node")]
pub(super) struct Way {
    /// Print the answer as it is: one line of JSON
    #[arg(long, global = true)]
    json: bool,
    /// The way to the node: unix:PATH, https://HOST:PORT or 'stomp+ssl://BROKER?node=NAME' [default:
    /// unix:/run/pointsman/admin.sock, then unix:pointsman-state/admin.sock]
    #[arg(long, global = true, value_name = "WAY")]
    via: Option<Via>,
    /// The authorities that may vouch for https:// and stomp+ssl://, as PEM [default: those of the system]
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    bus: BusOptions,
}

/// A node to be asked, and how its answers are shown.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) client: Client,
    pub(super) json: bool,
}

/// Does `action`.
pub(super) fn run(action: Remote, way: Way) -> Exit {
    if let Remote::Auth(Auth::Test { user, config }) = &action {
        return trial::run(user, config, way.json);
    }
    let node = Node::new(way);
    let watching = matches!(action, Remote::Status { watch: true });
    if let Remote::Events(events) = &action
        && events.follow
    {
        return node.block_on(follow::follow(&node, events.since));
    }
    let request = match request(action) {
        Ok(request) => request,
        Err(Wrong::Usage(message)) => usage(&message),
        Err(Wrong::Invalid(error)) => return node.refuse(&error),
    };
    match watching {
        true => node.block_on(watch::watch(&node, &request)),
        false => node.block_on(node.once(&request)),
    }
}

/// Logs in.
pub(super) fn log_in(user: Option<String>, way: Way) -> Exit {
    let node = Node::new(way);
    node.block_on(login::login(&node, user))
}

/// Puts the services of `file` in place of those that there are.
pub(super) fn replace(file: &Path, change: ChangeOptions, way: Way) -> Exit {
    let node = Node::new(way);
    match replace::services(file) {
        Ok(services) => {
            let request = changing(Command::Replace { services }, change);
            node.block_on(node.once(&request))
        }
        Err(error) => node.refuse(&error),
    }
}

impl Node {
    fn new(way: Way) -> Self {
        Self {
            client: Client::new(way.via, way.ca_file, way.bus),
            json: way.json,
        }
    }

    fn block_on(&self, work: impl Future<Output = Exit>) -> Exit {
        match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(work),
            Err(error) => self.refuse(&CommandError::new(Code::Failed, error.to_string())),
        }
    }

    async fn once(&self, request: &Request) -> Exit {
        let (via, reply) = match self.client.command(request).await {
            Ok(answered) => answered,
            Err(trouble) => return self.trouble(&trouble),
        };
        let exit = reply.exit();
        if matches!(request.command, Command::Logout {}) && exit == Exit::Done {
            Keeper::new(&via).forget();
        }
        if exit != Exit::Done {
            return self.refused(&reply);
        }
        let (_, colour) = terminal();
        match self.json {
            true => say(&reply.text),
            false => say(&show::answer(request, &reply, colour)),
        }
        exit
    }

    /// Says that the node has refused a command.
    pub(super) fn refused(&self, reply: &Reply) -> Exit {
        let exit = self.rejected(reply);
        if self.json || reply.retry_after().is_some() {
            return exit;
        }
        if reply.login_ended() {
            complain(&"your login has ended; `pointsman login` begins another");
        } else if reply.wants_login() {
            complain(&"`pointsman login` lets you in");
        }
        exit
    }

    /// Says that the node has refused a log-in: without the advice to log in.
    pub(super) fn rejected(&self, reply: &Reply) -> Exit {
        if self.json {
            say(&reply.text);
            return reply.exit();
        }
        if let Some(error) = reply.error() {
            complain(&style::clean_lines(&error.message));
        }
        if let Some(seconds) = reply.retry_after() {
            // Rounded up: before that it would be too soon again.
            let seconds = (seconds * 10.0).ceil() / 10.0;
            complain(&format_args!("try again in {seconds:.1} s"));
        }
        reply.exit()
    }

    /// Says that there is no answer.
    pub(super) fn trouble(&self, trouble: &Trouble) -> Exit {
        let exit = trouble.exit();
        let code = match exit {
            Exit::Denied => Code::Denied,
            Exit::Unavailable => Code::Unavailable,
            Exit::Done | Exit::Failed | Exit::Invalid | Exit::Conflict | Exit::Signal(_) => {
                Code::Failed
            }
        };
        self.refuse(&CommandError::new(code, trouble.to_string()));
        exit
    }

    /// Says what was wrong before the node was asked.
    pub(super) fn refuse(&self, error: &CommandError) -> Exit {
        match self.json {
            true => say(&json!({"ok": false, "error": error}).to_string()),
            false => complain(&style::clean_lines(&error.message)),
        }
        error.code.into()
    }
}

/// Says how the command is used, and ends the program as any other error of usage does.
fn usage(message: &str) -> ! {
    let mut command = Arguments::command();
    command.error(ErrorKind::ValueValidation, message).exit()
}
