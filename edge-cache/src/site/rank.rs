//! In which order the members of a site are a blob's homes: rendezvous hashing (Thaler and Ravishankar, 1998), by BLAKE3 of the
//! member and the digest, the highest first.
//!
//! How two members stand to each other depends on nothing but them and the blob. So when one goes, only the blobs that it was a home of
//! get another, and no two edges ever see each other in front, whatever else they believe of the site.

use std::cmp::Reverse;

use longshore_oci::Digest;

use super::Member;

type Weight = [u8; 32];

fn weight(member: &Member, digest: &Digest) -> Weight {
    let mut hasher = blake3::Hasher::new();
    hasher.update(member.as_str().as_bytes());
    // No URL holds it, so no two pairs read alike.
    hasher.update(b"\n");
    hasher.update(digest.to_string().as_bytes());
    *hasher.finalize().as_bytes()
}

/// The first `count` of these members in a blob's order; of fewer, all.
pub fn first<'a>(members: impl IntoIterator<Item = &'a Member>, digest: &Digest, count: usize) -> Vec<&'a Member> {
    let mut ranked: Vec<_> = members.into_iter().map(|member| (Reverse((weight(member, digest), member)), member)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count).map(|(_, member)| member).collect()
}

/// Whether one member stands before another in a blob's order.
pub fn is_before(one: &Member, other: &Member, digest: &Digest) -> bool {
    (weight(one, digest), one) > (weight(other, digest), other)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use longshore_oci::Algorithm;
    use proptest::prelude::*;

    use super::*;

    fn members(count: usize) -> Vec<Member> {
        (0..count).map(|number| Member::parse(&format!("https://edge-{number}.example:5100"), false).unwrap()).collect()
    }

    fn digests(count: usize) -> Vec<Digest> {
        (0..count).map(|number| Digest::of(Algorithm::Sha256, number.to_string().as_bytes())).collect()
    }

    #[test]
    fn each_is_home_to_its_share() {
        let (members, digests) = (members(10), digests(20_000));
        for place in 0..2 {
            let mut shares = HashMap::<&Member, usize>::new();
            for digest in &digests {
                *shares.entry(first(&members, digest, 2)[place]).or_default() += 1;
            }
            // 2,000 each, give or take five standard deviations of a fair draw.
            assert!(shares.len() == 10 && shares.values().all(|share| share.abs_diff(2_000) < 212), "{shares:?}");
        }
    }

    #[test]
    fn who_goes_moves_what_was_theirs_alone() {
        let (all, digests) = (members(10), digests(5_000));
        let gone = &all[3];
        let rest: Vec<_> = all.iter().filter(|member| *member != gone).cloned().collect();
        let mut moved = 0;
        for digest in &digests {
            let mut expected = first(&all, digest, 3);
            moved += usize::from(expected[..2].contains(&gone));
            expected.retain(|member| *member != gone);
            expected.truncate(2);
            assert_eq!(first(&rest, digest, 2), expected);
        }
        assert!(moved.abs_diff(1_000) < 150, "{moved} of 5,000 moved");
    }

    #[test]
    fn the_order_is_this_one() {
        // Edges of two versions meet at a site: were this to change, each blob would be fetched by two homes.
        let members = members(5);
        let order = |digest: &Digest| {
            let ranked = first(&members, digest, 5);
            ranked.iter().map(|member| members.iter().position(|other| other == *member).unwrap()).collect::<Vec<_>>()
        };
        let digests = digests(2);
        assert_eq!([order(&digests[0]), order(&digests[1])], ORDERS);
    }

    const ORDERS: [[usize; 5]; 2] = [[0, 3, 1, 4, 2], [2, 4, 1, 3, 0]];

    proptest! {
        #[test]
        fn all_see_the_same_order(number: u64, shuffled in Just(members(8)).prop_shuffle(), count in 0_usize..10) {
            let digest = Digest::of(Algorithm::Sha256, &number.to_le_bytes());
            let ordered = members(8);
            let ranked = first(&shuffled, &digest, count);
            prop_assert_eq!(&ranked, &first(&ordered, &digest, count));
            prop_assert_eq!(ranked.len(), count.min(8));
            prop_assert!(ranked.windows(2).all(|pair| is_before(pair[0], pair[1], &digest) && !is_before(pair[1], pair[0], &digest)));
            prop_assert!(ordered.iter().all(|member| !is_before(member, member, &digest)));
        }
    }
}
