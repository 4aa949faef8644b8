use clap::Args;
use longshore_client::{Action, Grant};

/// What may be done where. A pattern is a repository's name, `team/*`, `team/**`, or `**` for all.
#[derive(Args, Default)]
pub struct GrantArguments {
    /// May pull from these repositories: a name, `team/*`, `team/**`, or `**` for all
    #[arg(long, value_name = "PATTERN")]
    pull: Vec<String>,
    /// May push to these, and pull
    #[arg(long, value_name = "PATTERN")]
    push: Vec<String>,
    /// May delete from these, and pull
    #[arg(long, value_name = "PATTERN")]
    delete: Vec<String>,
    /// May add signatures and attestations to what these hold, and pull
    #[arg(long, value_name = "PATTERN")]
    sign: Vec<String>,
    /// May do everything with these; `**` is the whole registry, with its accounts
    #[arg(long, value_name = "PATTERN")]
    admin: Vec<String>,
}

impl GrantArguments {
    /// A grant for each pattern, with all that may be done there, in the order in which patterns are first named.
    pub fn grants(&self) -> Vec<Grant> {
        let actions = [
            (Action::Pull, &self.pull),
            (Action::Push, &self.push),
            (Action::Delete, &self.delete),
            (Action::Sign, &self.sign),
            (Action::Admin, &self.admin),
        ];
        let mut grants: Vec<Grant> = Vec::new();
        for (action, patterns) in actions {
            for pattern in patterns {
                match grants.iter_mut().find(|grant| grant.repositories == *pattern) {
                    Some(grant) if grant.actions.contains(&action) => {}
                    Some(grant) => grant.actions.push(action),
                    None => grants.push(Grant { actions: vec![action], repositories: pattern.clone() }),
                }
            }
        }
        grants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_may_be_done_in_one_place() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let arguments = GrantArguments {
            pull: texts(&["**", "prod/*", "**"]),
            push: texts(&["prod/*"]),
            sign: texts(&["team/app"]),
            ..GrantArguments::default()
        };
        let shown: Vec<String> = arguments.grants().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["pull on **", "pull, push on prod/*", "sign on team/app"]);
        assert!(GrantArguments::default().grants().is_empty());
    }
}
