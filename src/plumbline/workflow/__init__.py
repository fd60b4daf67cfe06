"""What joins the library to Snakemake."""
