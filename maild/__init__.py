"""maild: accepts outbound mail durably, decides, delivers, explains."""
