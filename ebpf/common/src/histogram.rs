//! Log-linear buckets: 16 for each power of two, so that a bucket is at most 1/16 of its value wide.

/// How many buckets a function has; the last one also holds everything longer (about 36 minutes).
pub const BUCKETS: u32 = 608;

const SUB_BUCKET_BITS: u32 = 4;

/// The bucket that counts a duration.
#[inline(always)]
pub fn bucket_of(duration_ns: u64) -> u32 {
    let top_bit = log2(duration_ns | 1);
    if top_bit < SUB_BUCKET_BITS {
        return duration_ns as u32;
    }
    let octave = top_bit - SUB_BUCKET_BITS;
    let sub_bucket = (duration_ns >> octave) as u32 & ((1 << SUB_BUCKET_BITS) - 1);
    let bucket = ((octave + 1) << SUB_BUCKET_BITS) + sub_bucket;
    if bucket < BUCKETS {
        bucket
    } else {
        BUCKETS - 1
    }
}

/// The place of the highest bit. The kernel's machine has no instruction for it, and every branch
/// here would be a way of its own through all that follows, which the verifier walks: so the bits
/// below the highest are set, and all set bits are counted, without a branch.
#[inline(always)]
fn log2(mut value: u64) -> u32 {
    value |= value >> 1;
    value |= value >> 2;
    value |= value >> 4;
    value |= value >> 8;
    value |= value >> 16;
    value |= value >> 32;
    let pairs = value - (value >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let bytes = (nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    let bits = bytes.wrapping_mul(0x0101_0101_0101_0101) >> 56;
    (bits as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_with_the_duration_and_stay_in_bounds() {
        let mut last = 0;
        for bit in 0..64 {
            for low in 0..16u64 {
                let value = (1u64 << bit) + ((1u64 << bit) >> 4) * low;
                let bucket = bucket_of(value);
                assert!(bucket >= last && bucket < BUCKETS, "{value}");
                last = bucket;
            }
        }
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(15), 15);
        assert_eq!(bucket_of(16), 16);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn log2_is_the_place_of_the_highest_bit() {
        for bit in 0..64 {
            assert_eq!(log2(1 << bit), bit);
            assert_eq!(log2(u64::MAX >> (63 - bit)), bit);
        }
    }
}
