//! `pointsman status --watch`: the status, again every second.
//! It must not end because the node is away for a while.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Exit, remote::Node, say, show, style::clean_lines, terminal};
use crate::model::command::Request;

const AGAIN: Duration = Duration::from_secs(1);

/// Redrawn in place at a terminal, else printed whenever it has changed.
pub(super) async fn watch(node: &Node, request: &Request) -> Exit {
    let (person, colour) = terminal();
    let mut ticks = interval(AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        ticks.tick().await;
        let frame = match node.client.command(request).await {
            Ok((_, reply)) if reply.exit() != Exit::Done => return node.refused(&reply),
            Ok((_, reply)) if node.json => reply.text.clone(),
            Ok((_, reply)) => show::answer(request, &reply, colour),
            // The first time, nobody may ever be there.
            Err(trouble) if last.is_none() || node.json => return node.trouble(&trouble),
            Err(trouble) => clean_lines(&trouble.to_string()),
        };
        if last.as_ref() != Some(&frame) {
            match person && !node.json {
                // Home, and after the text nothing of what was there before.
                true => say(&format!("\x1b[H\x1b[J{frame}")),
                false => say(&frame),
            }
            last = Some(frame);
        }
    }
}
