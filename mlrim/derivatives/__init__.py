"""Derivatives of any energy: forces, stress, Hessians and their products, dynamical matrices at any wave vector."""
