use http::{Method, header};
use serde_json::{Value, json};

use super::{Account, Answer, Client};

/// What is asked of issuers, and by those whom they speak for.
impl Client {
    /// Puts an issuer, whatever is there.
    pub async fn try_put_issuer(&self, name: &str, trust: &Value) -> Answer {
        self.send_json(Method::PUT, &format!("/v2/_longshore/issuers/{name}"), trust).await
    }

    /// Puts an issuer that makes sense; gives back all that was said of it.
    pub async fn put_issuer(&self, name: &str, trust: &Value) -> Value {
        let answer = self.try_put_issuer(name, trust).await;
        assert!([200, 201].contains(&answer.status.as_u16()), "{answer:?}");
        answer.json()
    }

    /// Asks who somebody with a token would be.
    pub async fn check_issuer(&self, name: &str, token: &str) -> Answer {
        self.send_json(Method::POST, &format!("/v2/_longshore/issuers/{name}/check"), &json!({ "token": token })).await
    }

    /// Asks the token service by a form (RFC 6749).
    pub async fn post_form(&self, fields: &[(&str, &str)]) -> Answer {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let request = self.request(Method::POST, "/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        Answer::to(request.body(body.join("&"))).await
    }
}

impl Account {
    /// Somebody whom an issuer speaks for, as clients have it that know of names and secrets alone.
    pub fn bearing(token: &str) -> Self {
        Self::of("oidc", token)
    }
}
