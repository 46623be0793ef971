//! Commands: a JSON object in, the control task's answer out.
//! It must not know any command.

use axum::{
    extract::{Extension, Request as HttpRequest, State},
    response::Response,
};
use serde_json::Value;

use super::{
    Api, body,
    caller::{Caller, Peer},
    guard::Id,
    reply::{self, Refusal},
};
use crate::{doors::strict, model::command::Request};

/// The largest command: `replace` brings a whole configuration.
const MAX_COMMAND: usize = 1024 * 1024;

pub(super) async fn execute(
    State(api): State<Api>,
    Extension(id): Extension<Id>,
    Extension(peer): Extension<Peer>,
    request: HttpRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    // Who is nobody does not get to send a mebibyte.
    let caller = match Caller::of(&api, &peer, &parts.headers).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.and_close().reply(&id),
    };
    let read = body::read(body, MAX_COMMAND, &peer).await;
    let request = match read.and_then(|text| parse(&text)) {
        Ok(request) => request,
        Err(refusal) => return refusal.reply(&id),
    };
    let nobody = caller.could_log_in(&api);
    let answer = api.control.execute(caller.principal, request, id.0).await;
    reply::answer(&answer, nobody)
}

fn parse(text: &[u8]) -> Result<Request, Refusal> {
    let value = strict::parse(text).map_err(|why| {
        // Of what is no JSON to anybody, it helps to hear where.
        let why = match serde_json::from_slice::<Value>(text) {
            Err(error) => format!("it is not JSON: {error}"),
            Ok(_) => why.to_owned(),
        };
        Refusal::invalid(format!("the body cannot be used: {why}"))
    })?;
    Request::from_json(value).map_err(|error| Refusal::invalid(error.message))
}
