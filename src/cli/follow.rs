//! `pointsman events --follow`: events as they happen, over breaks of the connection too.
//! It must not show an event twice, nor leave one out after the first that it has shown.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::{
    Exit,
    client::{Opened, Stream, Trouble},
    complain,
    remote::Node,
    say, show,
    style::clean,
    terminal,
};

/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn follow(node: &Node, since: Option<u64>) -> Exit {
    let mut last = since.map(|since| since.to_string());
    let (mut met, mut told) = (false, false);
    loop {
        match node.client.events(last.as_deref()).await {
            Ok(Opened::Stream(stream)) => {
                (met, told) = (true, false);
                // The end of a stream is as good as a break: the node may be starting anew.
                if let Err(trouble) = pass_on(node, stream, &mut last).await {
                    tell(&trouble, &mut told);
                }
            }
            Ok(Opened::Refused(reply)) if !met || reply.exit() != Exit::Unavailable => {
                return node.refused(&reply);
            }
            Ok(Opened::Refused(_)) => {}
            Err(trouble) if !met => return node.trouble(&trouble),
            Err(trouble) => tell(&trouble, &mut told),
        }
        sleep(AGAIN).await;
    }
}

/// Once for each break.
fn tell(trouble: &Trouble, told: &mut bool) {
    if !std::mem::replace(told, true) {
        complain(&format_args!("{trouble}; trying again"));
    }
}

async fn pass_on(
    node: &Node,
    mut stream: Stream,
    last: &mut Option<String>,
) -> Result<(), Trouble> {
    let (_, colour) = terminal();
    while let Some(message) = stream.next().await? {
        match serde_json::from_str::<Value>(&message.data) {
            Ok(event) if !node.json => say(&show::event(&event, colour)),
            Ok(event) => say(&event.to_string()),
            Err(_) => say(&clean(&message.data)),
        }
        // Only what was shown is not asked for again.
        if message.id.is_some() {
            *last = message.id;
        }
    }
    Ok(())
}
