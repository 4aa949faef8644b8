use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{Fault, State};

/// Carries bytes both ways until an end closes or a rule does.
pub(super) async fn carry(state: &State, client: TcpStream, server: TcpStream) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_reset = tokio::select! {
        is_reset = pass(state, &mut from_client, &mut to_server) => is_reset,
        is_reset = pass(state, &mut from_server, &mut to_client) => is_reset,
    };
    if is_reset {
        let _ = to_client.as_ref().set_zero_linger();
    }
}

/// Passes bytes one way; true where a rule ended it.
async fn pass(state: &State, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return false };
        match state.fault_for(None) {
            None => {}
            Some(Fault::Stall(pause)) => tokio::time::sleep(pause).await,
            Some(Fault::Throttle(rate)) => {
                let micros = count as u64 * 1_000_000 / rate.max(1);
                tokio::time::sleep(std::time::Duration::from_micros(micros)).await;
            }
            Some(Fault::Flip(place)) => {
                if let Some(byte) = usize::try_from(place).ok().and_then(|place| buffer[..count].get_mut(place)) {
                    *byte ^= 1;
                }
            }
            // The other side gets the beginning, and must not take it for the whole.
            Some(Fault::Truncate(size_bytes)) => {
                let kept = usize::try_from(size_bytes).map_or(count, |kept| kept.min(count));
                let _ = to.write_all(&buffer[..kept]).await;
                return true;
            }
            // What was sent arrives; what would have been answered to it never does.
            Some(Fault::LoseAnswer) => {
                let _ = to.write_all(&buffer[..count]).await;
                return true;
            }
            Some(Fault::Reset | Fault::Answer(..)) => return true,
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return false;
        }
    }
}
