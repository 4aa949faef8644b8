//! Parts of a whole, in words.

/// Each part in parts of a hundred, which together are a hundred: what is left over by cutting off goes to those from whom the most was cut
/// off. What is something is never nothing, nor what is not all all: `<1%`, `99%`.
pub fn percentages<const N: usize>(parts: [u64; N]) -> [String; N] {
    let all = parts.iter().copied().map(u128::from).sum::<u128>().max(1);
    let hundredfold = parts.map(|part| u128::from(part) * 100);
    let mut hundredths = hundredfold.map(|part| part / all);
    let left_over = (hundredfold.iter().sum::<u128>() / all).saturating_sub(hundredths.iter().sum());
    let mut by_rest: Vec<usize> = (0..N).collect();
    by_rest.sort_by_key(|place| std::cmp::Reverse(hundredfold[*place] % all));
    for (place, _) in by_rest.into_iter().zip(0..left_over) {
        hundredths[place] += 1;
    }
    std::array::from_fn(|place| match hundredths[place] {
        _ if parts[place] == 0 => "0%".to_owned(),
        _ if u128::from(parts[place]) == all => "100%".to_owned(),
        0 => "<1%".to_owned(),
        hundredths => format!("{}%", hundredths.min(99)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_a_hundred_together() {
        assert_eq!(percentages([97, 0, 3]), ["97%", "0%", "3%"]);
        assert_eq!(percentages([932, 0, 68]), ["93%", "0%", "7%"]);
        assert_eq!(percentages([6, 1, 1]), ["75%", "13%", "12%"]);
        assert_eq!(percentages([1, 1, 1]), ["34%", "33%", "33%"]);
        assert_eq!(percentages([0, 0]), ["0%", "0%"]);
    }

    #[test]
    fn something_is_not_nothing_and_not_all() {
        assert_eq!(percentages([1, 999]), ["<1%", "99%"]);
        assert_eq!(percentages([0, 7]), ["0%", "100%"]);
        assert_eq!(percentages([u64::MAX, u64::MAX]), ["50%", "50%"]);
    }
}
