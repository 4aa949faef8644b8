//! The wish to stop, told to every part at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told twice to stop, as shells give it for Ctrl-C.
const EXIT_INTERRUPTED: i32 = 130;

/// A token that is cancelled at the first SIGTERM or SIGINT. A second one ends the process at once with code 130.
///
/// Fails where the system does not let signals be handled. Must be called within a Tokio runtime.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if asked.is_cancelled() {
                tracing::warn!(signal = name, "told again to stop, so stopping without the drain");
                std::process::exit(EXIT_INTERRUPTED);
            }
            tracing::info!(signal = name, "stopping: finishing what runs");
            asked.cancel();
        }
    });
    Ok(token)
}
