use std::{
    io::{Write as _, stdout},
    path::{Path, PathBuf},
};

use clap::Args;
use longshore_client::{AuditFilter, ClientError, RegistryClient};
use longshore_oci::{AuditHead, AuditVoucher};
use longshore_service::{
    error_text::with_sources,
    signing::{InvalidSignature, KeySet},
};
use serde_json::json;

use super::{
    PAGE_SIZE,
    chain::{Broken, Chain, Kept},
};
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

/// How often it is begun anew because lines were dropped by age meanwhile.
const ATTEMPTS: u32 = 3;

#[derive(Args)]
pub struct VerifyArguments {
    /// A head that was kept: what `longshore audit head` once printed; the log must still have its line
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
}

impl VerifyArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let kept = self.head.as_deref().map(read).transpose()?;
        let client = connection.client(None).await?;
        let keys: KeySet = client.keys().await.map_err(|error| explained(&error))?;
        if let Some(kept) = &kept {
            check_kept(&keys, kept)?;
        }
        let (head, is_signed, found) = check(&client, &keys, kept).await?;
        let outcome = found.map_err(|broken| Failure::Failed(format!("the audit log is not what it was: {broken}")))?;
        tell(connection.output, &head, is_signed, outcome)
    }
}

fn read(path: &Path) -> Result<AuditHead, Failure> {
    let failed = |reason: String| Failure::Usage(format!("--head: {}: {reason}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| failed(format!("it is no head of an audit log: {error}")))
}

/// A head that was kept is taken as it is, but not with a signature that is of something else. Its key may be gone by now.
fn check_kept(keys: &KeySet, kept: &AuditHead) -> Result<(), Failure> {
    match is_signed(keys, kept) {
        Err(error @ InvalidSignature::UnknownKey(_)) => {
            eprintln!("longshore: the head that was kept is taken as it is: {}", with_sources(&error));
            Ok(())
        }
        Ok(Some(true) | None) => Ok(()),
        Ok(Some(false)) => Err(Failure::Failed("the head that was kept is not the one that its signature is of".to_owned())),
        Err(error) => Err(Failure::because("the signature of the head that was kept", &error)),
    }
}

/// Whether a head's signature is of it; `None` where it has none.
fn is_signed(keys: &KeySet, head: &AuditHead) -> Result<Option<bool>, InvalidSignature> {
    let Some(signature) = &head.signature else { return Ok(None) };
    keys.check::<AuditVoucher>(AuditVoucher::KIND, signature).map(|voucher| Some(voucher.vouches_for(head)))
}

type Found = Result<Option<Kept>, Broken>;

/// The log's head, whether that is signed, and what came of all its lines.
async fn check(client: &RegistryClient, keys: &KeySet, kept: Option<AuditHead>) -> Result<(AuditHead, bool, Found), Failure> {
    let mut attempts_left = ATTEMPTS;
    loop {
        let head = client.audit_head().await.map_err(|error| explained(&error))?;
        let is_signed = match is_signed(keys, &head) {
            Ok(None) => false,
            Ok(Some(true)) => true,
            Ok(Some(false)) => return Err(Failure::Failed("the head's signature is of another head".to_owned())),
            Err(error) => return Err(Failure::because("the head's signature", &error)),
        };
        let found = walk(client, &head, kept.clone()).await.map_err(|error| explained(&error))?;
        attempts_left -= 1;
        if found.is_err() && attempts_left > 0 {
            let now = client.audit_head().await.map_err(|error| explained(&error))?;
            if now.first_seq != head.first_seq {
                continue;
            }
        }
        return Ok((head, is_signed, found));
    }
}

async fn walk(client: &RegistryClient, head: &AuditHead, kept: Option<AuditHead>) -> Result<Found, ClientError> {
    let mut chain = match Chain::new(head.clone(), kept) {
        Ok(chain) => chain,
        Err(broken) => return Ok(Err(broken)),
    };
    // From the very first line there is, so that none before the first that the head tells of is overlooked.
    let mut pages = client.audit(&AuditFilter { after: Some(0), ..AuditFilter::default() }, PAGE_SIZE);
    while !chain.is_done()
        && let Some(page) = pages.next_page().await?
    {
        for (place, line) in page.iter().enumerate() {
            if chain.is_done() {
                break;
            }
            if let Err(broken) = chain.add(line) {
                return Ok(Err(broken.seen_with(&page[place..])));
            }
        }
    }
    Ok(chain.finish())
}

fn tell(format: Format, head: &AuditHead, is_signed: bool, kept: Option<Kept>) -> Result<(), Failure> {
    let count = (head.seq + 1).saturating_sub(head.first_seq);
    let mut out = stdout().lock();
    if format == Format::Json {
        let kept = kept.map(|kept| if kept == Kept::Held { "held" } else { "retired" });
        let told = json!({
            "lines": count, "firstSeq": head.first_seq, "seq": head.seq, "hash": head.hash, "isSigned": is_signed, "keptHead": kept,
        });
        return Ok(write_json(&mut out, &told)?);
    }
    match count {
        0 => writeln!(out, "no lines: whole")?,
        _ => writeln!(out, "{count} lines, from {} to {}: whole", head.first_seq, head.seq)?,
    }
    if let Some(kept) = kept {
        let told = match kept {
            Kept::Held => "is there as it was",
            Kept::Retired => "was dropped by age, so it says nothing of these",
        };
        writeln!(out, "the line of the head that was kept {told}")?;
    }
    if !is_signed {
        writeln!(out, "the registry has no key to sign the log's head with")?;
    }
    Ok(out.flush()?)
}
