//! Logging in and out.
//! It must not keep, log or repeat a password, a code or a token; it passes them on.

use axum::{
    extract::{Extension, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Api, body,
    caller::{Caller, Peer},
    guard::Id,
    reply::{self, Refusal},
};
use crate::{
    doors::authority::{Attempt, LoginReply, Proof},
    model::error::Code,
};

/// The largest log-in; it is read from people who are nobody yet.
const MAX_LOGIN: usize = 16 * 1024;

/// What a log-in says. No `Debug`: it holds secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    user: String,
    password: Option<String>,
    state: Option<String>,
    otp: Option<String>,
}

pub(super) async fn login(
    State(api): State<Api>,
    Extension(id): Extension<Id>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let read = body::read(request.into_body(), MAX_LOGIN, &peer).await;
    let attempt = match read.and_then(|text| parse(&text, &peer)) {
        Ok(attempt) => attempt,
        Err(refusal) => return refusal.reply(&id),
    };
    match api.authority.login(attempt).await {
        LoginReply::Accepted(accepted) => {
            let mut data = json!(accepted.login);
            data["token"] = accepted.token.expose_secret().into();
            reply::done(&id, Some(data))
        }
        LoginReply::Challenge { challenge, state } => {
            let data = json!({ "challenge": challenge, "state": state });
            reply::done(&id, Some(data))
        }
        LoginReply::Rejected => {
            let message = "the log-in was rejected";
            Refusal::new(StatusCode::UNAUTHORIZED, Code::Denied, message).reply(&id)
        }
        LoginReply::SlowDown { retry_after } => slow_down(&id, retry_after),
        LoginReply::Unavailable(message) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message).reply(&id)
        }
    }
}

pub(super) async fn logout(
    State(api): State<Api>,
    Extension(id): Extension<Id>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let caller = match Caller::of(&api, &peer, request.headers()).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.reply(&id),
    };
    let Some(token) = caller.token else {
        return Refusal::nobody().reply(&id);
    };
    match api.authority.logout(&token).await {
        Ok(true) => reply::done(&id, None),
        Ok(false) => Refusal::nobody().reply(&id),
        Err(error) => Refusal::new(reply::status(error.code), error.code, error.message).reply(&id),
    }
}

fn parse(text: &[u8], peer: &Peer) -> Result<Attempt, Refusal> {
    // What serde says about a mistake could repeat a password.
    let mistake = || Refusal::invalid("a log-in is {user, password}, or {user, state, otp}");
    let form: Form = serde_json::from_slice(text).map_err(|_| mistake())?;
    let proof = match (form.password, form.state, form.otp) {
        (Some(password), None, None) => Proof::Password(password.into()),
        (None, Some(state), Some(otp)) => Proof::Code {
            state: state.into(),
            otp: otp.into(),
        },
        _ => return Err(mistake()),
    };
    Ok(Attempt {
        user: form.user,
        proof,
        door: peer.door,
        from: peer.from.to_string(),
        key: None,
    })
}

fn slow_down(id: &Id, retry_after: std::time::Duration) -> Response {
    let body: Value = json!({
        "id": id.0,
        "ok": false,
        "error": { "code": Code::Denied, "message": "too many log-ins failed; try again later" },
        "revision": 0,
        "retry_after": retry_after.as_secs_f64(),
    });
    let mut response = reply::json_reply(StatusCode::TOO_MANY_REQUESTS, &body);
    // The header takes whole seconds, and earlier would be too early.
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
