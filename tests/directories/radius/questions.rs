//! Challenges of a real server: one-time codes.

use super::*;

async fn challenged(radius: &Radius) -> (SecretString, String) {
    match log_in(radius, "otp", "first-half").await {
        Outcome::Challenge(challenge) => {
            let code = challenge.message.strip_prefix("Enter OTP ").unwrap();
            assert_eq!(code.len(), 6);
            (challenge.state, code.to_owned())
        }
        other => panic!("{}", other.sentence()),
    }
}

#[tokio::test]
async fn a_one_time_code_lets_in_once_and_only_who_was_asked() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    for method in [Method::Pap, Method::Chap] {
        let radius = radius(Options {
            method,
            ..options(vec![server.listener("strict")])
        });
        if method == Method::Chap {
            // This server asks only those whom it knows by PAP.
            accepted(log_in(&radius, "otp", "first-half").await);
            continue;
        }
        let (state, code) = challenged(&radius).await;
        assert_eq!(
            accepted(answer(&radius, "otp", &state, &code).await),
            ["lb-operator"]
        );
        rejected(answer(&radius, "otp", &state, &code).await);

        let (state, code) = challenged(&radius).await;
        rejected(answer(&radius, "otp", &state, "000000x").await);
        rejected(answer(&radius, "otp", &state, &code).await);

        let (state, code) = challenged(&radius).await;
        rejected(answer(&radius, "ada", &state, &code).await);

        let (_, code) = challenged(&radius).await;
        for state in ["", "invented", "{\"server\":7}"] {
            rejected(answer(&radius, "otp", &state.into(), &code).await);
        }
    }
}

#[tokio::test]
async fn the_answer_goes_to_the_server_that_asked_though_others_are_there() {
    let (Some(server), Some(other)) = (FreeRadius::start(), FreeRadius::start()) else {
        return;
    };
    let listeners = vec![server.listener("strict"), other.listener("strict")];
    let both = radius(options(listeners));
    let (state, code) = challenged(&both).await;
    drop(server);
    let because = unavailable(answer(&both, "otp", &state, &code).await);
    assert!(
        !because.contains(&other.listener("strict").to_string()),
        "{because}"
    );
    // Whoever starts anew gets to the other.
    let (state, code) = challenged(&both).await;
    accepted(answer(&both, "otp", &state, &code).await);
}
