use std::env;

use aws_sdk_s3::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::S3Settings;

/// The SDK's client: static credentials, no retries, no checksums but where the protocol requires them, rustls over ring.
pub(super) fn client(settings: &S3Settings) -> Client {
    let connector = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(connector)
        .region(Region::new(settings.region.clone()))
        .force_path_style(settings.force_path_style)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(settings.connect_timeout).build())
        // A slow client is not a stalled server; `Retrying` watches the time that a chunk takes.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if !settings.endpoint.is_empty() {
        config = config.endpoint_url(&settings.endpoint);
    }
    if let Some(credentials) = credentials(settings) {
        config = config.credentials_provider(credentials);
    }
    Client::from_conf(config.build())
}

fn credentials(settings: &S3Settings) -> Option<Credentials> {
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let (key, secret, token) = match named(&settings.access_key_id) {
        Some(key) => (key, settings.secret_access_key.clone(), named(&settings.session_token)),
        None => (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?, variable("AWS_SESSION_TOKEN")),
    };
    Some(Credentials::new(key, secret, token, None, "longshore"))
}
