"""Before a start: are the GPUs, links, libraries and engines there that the launch scripts are about to use?"""
