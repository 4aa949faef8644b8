//! Makes a probe.

use std::{net::IpAddr, time::Duration};

use longshore_fleet::{HttpProbe, Probe};
use longshore_service::error_text::with_sources;
use tokio::{net::TcpStream, time::timeout};

use crate::agent::{hands::Hands, pod::Verdict};

/// How much of what a command says is told.
const MOST_OUTPUT_BYTES: usize = 1024;

/// Makes a probe of a container that is reached at this address.
pub async fn make(hands: &Hands, probe: &Probe, container: &str, address: Option<&str>) -> Verdict {
    let patience = Duration::from_secs(probe.timeout_seconds.max(1).into());
    if let Some(exec) = &probe.exec {
        return run(hands, container, exec.command.clone(), patience).await;
    }
    let Some(address) = address.and_then(|address| address.parse::<IpAddr>().ok()) else {
        return Verdict::Ill("the pod has no address".to_owned());
    };
    let probing = async {
        match (&probe.http, &probe.tcp) {
            (Some(http), _) => get(&hands.probes, http, address).await,
            (None, Some(tcp)) => match TcpStream::connect((address, tcp.port)).await {
                Ok(_) => Verdict::Well,
                Err(error) => Verdict::Ill(format!("port {} can't be connected to: {error}", tcp.port)),
            },
            (None, None) => Verdict::Unknown,
        }
    };
    timeout(patience, probing).await.unwrap_or_else(|_| Verdict::Ill(format!("no answer in {} s", patience.as_secs())))
}

async fn get(client: &reqwest::Client, probe: &HttpProbe, address: IpAddr) -> Verdict {
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let url = format!("http://{host}:{}{}", probe.port, probe.path);
    match client.get(&url).send().await {
        Ok(answer) if (200..400).contains(&answer.status().as_u16()) => Verdict::Well,
        Ok(answer) => Verdict::Ill(format!("{url} answers {}", answer.status().as_u16())),
        Err(error) => Verdict::Ill(with_sources(&error.without_url())),
    }
}

async fn run(hands: &Hands, container: &str, command: Vec<String>, patience: Duration) -> Verdict {
    match hands.cri.exec(container, command, patience).await {
        Ok(answer) if answer.exit_code == 0 => Verdict::Well,
        Ok(answer) => {
            let said = if answer.stderr.is_empty() { &answer.stdout } else { &answer.stderr };
            let said = String::from_utf8_lossy(&said[..said.len().min(MOST_OUTPUT_BYTES)]).trim().to_owned();
            let colon = if said.is_empty() { "" } else { ": " };
            Verdict::Ill(format!("the command ended with exit code {}{colon}{said}", answer.exit_code))
        }
        // The runtime says so of a command that took too long, or that there is none such.
        Err(error) if error.is_answer() && !error.is_missing() => Verdict::Ill(with_sources(&error)),
        Err(_) => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;
    use crate::agent::hands::probe_client;

    async fn answering(status: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await;
                let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
            }
        });
        port
    }

    #[tokio::test]
    async fn an_answer_is_well_from_200_to_399() {
        let client = probe_client().unwrap();
        let here = IpAddr::from([127, 0, 0, 1]);
        for (status, is_well) in [("200 OK", true), ("302 Found", true), ("400 Bad", false), ("503 Down", false)] {
            let probe = HttpProbe { path: "/health?a=1".into(), port: answering(status).await };
            let verdict = get(&client, &probe, here).await;
            assert_eq!(verdict == Verdict::Well, is_well, "{status}: {verdict:?}");
        }
        let nobody = HttpProbe { path: "/".into(), port: 1 };
        assert!(matches!(get(&client, &nobody, here).await, Verdict::Ill(why) if why.contains("refused")));
    }
}
