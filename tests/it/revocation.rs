//! What is taken away is gone soon, on every replica, whatever tokens were given out before.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use longshore_tests::{Account, Backend, Client, Image, Registry, on_both_backends, until};
use serde_json::{Value, json};

on_both_backends!(what_is_taken_away_is_gone_everywhere, a_role_that_is_given_is_there_everywhere);

/// How long who was let in may be let in still.
const SOON: Duration = Duration::from_secs(5);

/// One name for all replicas, or a token would be for one of them; and patience, as these ask until they are refused.
fn values() -> [(&'static str, Value); 3] {
    [
        ("auth.service", "registry.example".into()),
        ("auth.failed_logins_per_address", 10_000.into()),
        ("auth.failed_logins_per_account", 10_000.into()),
    ]
}

/// What is done to an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    Nothing,
    RoleRevoked,
    Disabled,
    Deleted,
    /// Deleted, and made again with the same name and role.
    Replaced,
    Expired,
    SecretRenewed,
}

const CHANGES: [Change; 7] = [
    Change::Nothing,
    Change::RoleRevoked,
    Change::Disabled,
    Change::Deleted,
    Change::Replaced,
    Change::Expired,
    Change::SecretRenewed,
];

/// Somebody who was let in.
struct Bearer {
    change: Change,
    account: Account,
    role: String,
    token: String,
}

impl Bearer {
    async fn create(registry: &Registry, change: Change) -> Self {
        let admin = registry.admin();
        let name = format!("{change:?}").to_lowercase();
        // A person's password and a robot's secret are checked in different ways.
        let account = match change {
            Change::Deleted | Change::Disabled => admin.create_person(&name, "a password of theirs", &[]).await,
            _ => admin.create_robot(&name, &[]).await,
        };
        let role = admin.grant(&name, "pull", "team/app").await;
        let token = registry.as_account(&account).token(&["repository:team/app:pull"]).await;
        Self { change, account, role, token }
    }

    async fn suffer(&self, admin: &Client) {
        let name = &self.account.name;
        match self.change {
            Change::Nothing => {}
            Change::RoleRevoked => admin.revoke(&self.role).await,
            Change::Disabled => drop(admin.change_account(name, &json!({"isDisabled": true})).await),
            Change::Deleted => admin.delete_account(name).await,
            Change::Replaced => {
                admin.delete_account(name).await;
                admin.create_robot(name, &[("pull", "team/app")]).await;
            }
            Change::Expired => {
                let soon = Timestamp::now() + SignedDuration::from_millis(1500);
                admin.change_account(name, &json!({"expiresAt": soon.to_string()})).await;
            }
            Change::SecretRenewed => {
                let renewed = admin.change_account(name, &json!({"renewSecret": true})).await;
                assert_ne!(renewed["secret"], self.account.secret.as_str());
            }
        }
    }

    /// As the registry at `client` is asked, by token and by secret.
    async fn statuses(&self, client: &Client) -> [u16; 2] {
        let bearer = client.as_bearer(&self.token).get_manifest("team/app", "v1").await;
        let basic = client.as_basic(&self.account.name, &self.account.secret).get_manifest("team/app", "v1").await;
        [bearer, basic].map(|answer| answer.status.as_u16())
    }
}

async fn what_is_taken_away_is_gone_everywhere(backend: Backend) {
    let registry = Registry::with_accounts(backend, &values()).await;
    let replica = if backend == Backend::Bucket { Some(registry.replica().await) } else { None };
    let admin = registry.admin();
    admin.push_image("team/app", "v1", &Image::random(730, &[100])).await;
    let mut bearers = Vec::new();
    for change in CHANGES {
        bearers.push(Bearer::create(&registry, change).await);
    }
    let clients: Vec<Client> = [Some(&registry), replica.as_ref()].into_iter().flatten().map(Registry::client).collect();
    for bearer in &bearers {
        for client in &clients {
            until("all to be let in", SOON, async || (bearer.statuses(client).await == [200, 200]).then_some(())).await;
        }
    }
    for bearer in &bearers {
        bearer.suffer(&admin).await;
    }
    for bearer in bearers.iter().filter(|bearer| bearer.change != Change::Nothing) {
        let change = bearer.change;
        let is_refused = |status: u16| status == 403 || status == 401 && change != Change::RoleRevoked;
        for (number, client) in clients.iter().enumerate() {
            until(&format!("{change:?} to be in force on {number}"), SOON, async || {
                bearer.statuses(client).await.into_iter().all(is_refused).then_some(())
            })
            .await;
        }
    }
    for client in &clients {
        assert_eq!(bearers[0].statuses(client).await, [200, 200], "and nobody else is shut out");
    }
}

async fn a_role_that_is_given_is_there_everywhere(backend: Backend) {
    let registry = Registry::with_accounts(backend, &values()).await;
    let admin = registry.admin();
    let image = Image::random(731, &[100]);
    admin.push_image("team/app", "v1", &image).await;
    let robot = admin.create_robot("ci", &[]).await;
    registry.as_account(&robot).get_manifest("team/app", "v1").await.expect(403);
    admin.grant("ci", "pull", "team/app").await;
    // Where it was given it is there at once, and soon wherever else.
    registry.as_account(&robot).get_manifest("team/app", "v1").await.expect(200);
    registry.as_account(&robot).with_token(&["repository:team/app:pull"]).await.get_manifest("team/app", "v1").await.expect(200);
    if backend == Backend::Bucket {
        let replica = registry.replica().await;
        let late = admin.create_robot("late", &[("pull", "team/app")]).await;
        until("the replica to know it", SOON, async || {
            let answer = replica.as_account(&late).get_manifest("team/app", "v1").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}
