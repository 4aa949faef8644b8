use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use reqwest::RequestBuilder;
use serde_json::Value;

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, to the end that the framing gave it.
    pub body: Bytes,
}

impl Answer {
    /// Sends a request and reads the whole answer. Panics where there is none.
    pub async fn to(request: RequestBuilder) -> Self {
        Self::attempt(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends a request and reads the whole answer; an error where the connection or the body broke off.
    pub async fn attempt(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await? })
    }

    /// Panics unless the status is the one given.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status.as_u16() == status, "expected {status}, not {self:?}");
        self
    }

    /// Panics unless it is a refusal as the spec's "Error Codes" section shapes it, with this status and code.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        let codes = answer.error_codes();
        assert!(codes.iter().any(|found| found == code), "expected {code}, not {codes:?}");
        answer
    }

    /// Panics unless a policy of this name, and no other, refuses it; gives back the reason.
    #[track_caller]
    pub fn denied_by(self, policy: &str) -> String {
        let answer = self.expect_error(403, "DENIED");
        let policies = answer.json()["errors"][0]["detail"]["policies"].clone();
        assert_eq!((policies.as_array().map(Vec::len), policies[0]["policy"].as_str()), (Some(1), Some(policy)), "{answer:?}");
        policies[0]["reason"].as_str().expect("a policy says why").to_owned()
    }

    /// The codes of a refusal; panics unless the body is the JSON that the spec asks for.
    #[track_caller]
    pub fn error_codes(&self) -> Vec<String> {
        assert_eq!(self.header("content-type"), Some("application/json"), "an error is JSON: {self:?}");
        let json = self.json();
        let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no errors in {self:?}"));
        assert!(!errors.is_empty(), "an error names at least one code: {self:?}");
        let is_code = |code: &str| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let code = |error: &Value| error["code"].as_str().filter(|code| is_code(code)).map(str::to_owned);
        errors.iter().map(|error| code(error).unwrap_or_else(|| panic!("no code in {error}"))).collect()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that has to be there.
    #[track_caller]
    pub fn required(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The texts of an array in the body.
    #[track_caller]
    pub fn texts(&self, field: &str) -> Vec<String> {
        let json = self.json();
        let values = json[field].as_array().unwrap_or_else(|| panic!("no array {field} in {self:?}"));
        values.iter().map(|value| value.as_str().expect("an array of texts").to_owned()).collect()
    }

    /// Where the next page is: the target of `Link: <...>; rel="next"` (RFC 5988).
    #[track_caller]
    pub fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let (target, parameters) =
            link.strip_prefix('<').and_then(|link| link.split_once('>')).expect("a link's target is in <>");
        assert_eq!(parameters.replace(' ', ""), r#";rel="next""#, "{link}");
        Some(target.into())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.body[..self.body.len().min(400)];
        write!(formatter, "{} {:?} {:?} ({} bytes)", self.status, self.headers, String::from_utf8_lossy(start), self.body.len())
    }
}
